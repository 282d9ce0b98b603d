/** An RFC 9457 problem, as the API sends it. The code `offline` is the console's own: the request got no response. */
export interface Problem {
  code: string;
  status: number;
  detail?: string;
  errors?: FieldError[];
  current?: unknown;
  request_id?: string;
}

/** An error in one field of the request body, or in one query parameter. */
export interface FieldError {
  message: string;
  code: string;
  /** A JSON pointer to the field in the body, such as `/trigram`. */
  pointer?: string;
  parameter?: string;
}

/** An API call that failed. Forms read the errors of their fields from it. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly fieldErrors: readonly FieldError[];
  readonly current: unknown;
  readonly retryAfter: number | null;

  /** Whether the same request may succeed later: there was no response, or a server error. */
  get isTransient(): boolean {
    return this.status === 0 || this.status >= 500;
  }

  constructor(problem: Problem, retryAfter: number | null = null) {
    super(problem.detail ?? problem.code);
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail ?? '';
    this.fieldErrors = problem.errors ?? [];
    this.current = problem.current;
    this.retryAfter = retryAfter;
  }

  /** The error of one body field or query parameter, if it has one. */
  fieldError(field: string): FieldError | undefined {
    return this.fieldErrors.find(({ pointer, parameter }) => pointer === `/${field}` || parameter === field);
  }

  /** The field errors that are not shown at one of these fields. */
  errorsOutside(...fields: string[]): FieldError[] {
    return this.fieldErrors.filter((one) => !fields.some((field) => this.fieldError(field) === one));
  }
}

export async function errorFromResponse(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get('retry-after') ?? NaN);
  let problem: Problem;
  try {
    problem = (await response.json()) as Problem;
  } catch {
    // The body is not JSON: a proxy's error page, or a response that was cut off.
    problem = { code: response.status === 413 ? 'payload-too-large' : 'internal', status: response.status };
  }
  return new ApiError(problem, Number.isNaN(retryAfter) ? null : retryAfter);
}

/** Convert an error to a plain object that IndexedDB can store. */
export function toProblem({ code, status, detail, fieldErrors, current }: ApiError): Problem {
  return { code, status, detail, errors: [...fieldErrors], ...(current !== undefined && { current }) };
}

/** Return the value as an `ApiError`. Any other value is a bug in the console and is thrown again. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  throw thrown;
}

export function isAborted(thrown: unknown): boolean {
  // WebKit throws a TypeError if the request was aborted while its response was being read.
  if (thrown instanceof TypeError) return thrown.message.startsWith('AbortError');
  return thrown instanceof DOMException && thrown.name === 'AbortError';
}
