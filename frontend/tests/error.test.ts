import { expect, test } from 'vitest';
import { isAborted } from '../src/api/error';

test('an aborted request is recognized in every browser', () => {
  expect(isAborted(new DOMException('', 'AbortError'))).toBe(true);
  expect(isAborted(new TypeError('AbortError: Fetch is aborted'))).toBe(true);
  expect(isAborted(new TypeError('Load failed'))).toBe(false);
});
