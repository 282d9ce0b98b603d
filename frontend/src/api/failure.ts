/** What went wrong, as RFC 9457 has it; `offline` is ours, for no answer at all. */
export interface Problem {
  code: string;
  status: number;
  detail?: string;
  errors?: Fault[];
  current?: unknown;
  request_id?: string;
}

export interface Fault {
  message: string;
  code: string;
  /** A JSON pointer into the body, `/trigram`. */
  pointer?: string;
  parameter?: string;
}

/** A call that failed. Forms ask it for the faults of their fields. */
export class Failure extends Error {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly faults: readonly Fault[];
  readonly current: unknown;
  readonly retryAfter: number | null;

  /** No answer, or none of the service's own: it may be there in a while. */
  get isPassing(): boolean {
    return this.status === 0 || this.status >= 500;
  }

  constructor(problem: Problem, retryAfter: number | null = null) {
    super(problem.detail ?? problem.code);
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail ?? '';
    this.faults = problem.errors ?? [];
    this.current = problem.current;
    this.retryAfter = retryAfter;
  }

  /** The fault of a field of the body, or of a parameter. */
  of(field: string): Fault | undefined {
    return this.faults.find((fault) => fault.pointer === `/${field}` || fault.parameter === field);
  }

  /** The faults that none of these fields shows. */
  beyond(...fields: string[]): Fault[] {
    return this.faults.filter((fault) => !fields.some((field) => this.of(field) === fault));
  }
}

export async function failureOf(response: Response): Promise<Failure> {
  const waiting = Number(response.headers.get('retry-after') ?? NaN);
  let problem: Problem;
  try {
    problem = (await response.json()) as Problem;
  } catch {
    // A proxy's page, or an answer that was cut off.
    problem = { code: 'internal', status: response.status };
  }
  return new Failure(problem, Number.isNaN(waiting) ? null : waiting);
}

/** The problem of a failure, as it can be kept. */
export function problemOf({ code, status, detail, faults }: Failure): Problem {
  return { code, status, detail, errors: [...faults] };
}

/** The failure in whatever was thrown; a fault of our own goes on. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  throw thrown;
}

export function isAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'AbortError';
}
