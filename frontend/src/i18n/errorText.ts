import { i18n } from './i18n.svelte';
import type { ApiError, FieldError } from '../api/error';

/** The text shown at a field: the console's message for the error code if there is one, else the message of the service. */
export function fieldErrorText(fieldError: FieldError): string {
  return i18n.t.problems.field[fieldError.code] ?? fieldError.message;
}

/** The text of an error, without its field errors. */
export function errorText(error: ApiError): string {
  return i18n.t.problems.code[error.code] ?? error.detail;
}
