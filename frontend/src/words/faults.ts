import { tongue } from './language.svelte';
import type { Failure, Fault } from '../api/failure';

/** What a fault at a field says to a person: our words where we have some, else the service's own. */
export function faultText(fault: Fault): string {
  return tongue.t.problems.fault[fault.code] ?? fault.message;
}

/** What a failure says to a person, without the faults that stand at their fields. */
export function failureText(failure: Failure): string {
  return tongue.t.problems.code[failure.code] ?? failure.detail;
}
