/** Calls to the API. The session is an HttpOnly cookie: no token is ever kept where a script could read it. */

import type { AccountDetail, AccountsPage, HealthHistory, MetricSeries, Pipeline, Summary, User } from './types'

/** An answer that is not a success, or no answer at all (`status` 0). `message` is fit to be shown. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

type Query = Record<string, string | number | null | undefined>

/** `path` with those parameters that have a value. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return text === '' ? path : `${path}?${text}`
}

/** The sentence of an `application/problem+json` body, or one made from the status. */
export function problemText(status: number, body: unknown): string {
  if (typeof body === 'object' && body !== null) {
    const { detail, title } = body as { detail?: unknown; title?: unknown }
    if (typeof detail === 'string' && detail !== '') return detail
    if (typeof title === 'string' && title !== '') return title
  }
  return `The server answered with status ${status}.`
}

let onSignedOut: () => void = () => undefined

/** Calls `listener` whenever the API says that the session is over. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener
}

async function call<T>(path: string, init: RequestInit = {}, signal?: AbortSignal): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, {
      credentials: 'same-origin',
      ...init,
      headers: { accept: 'application/json', ...(init.body ? { 'content-type': 'application/json' } : {}) },
      ...(signal ? { signal } : {}),
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'The server does not answer. Check that `vitals api` runs and that you are online.')
  }
  const text = await response.text()
  let body: unknown = null
  try {
    body = text === '' ? null : JSON.parse(text)
  } catch {
    if (response.ok) throw new ApiError(response.status, 'The server sent something that is not JSON.')
  }
  if (!response.ok) {
    if (response.status === 401 && !path.startsWith('/v1/auth/')) onSignedOut()
    throw new ApiError(response.status, problemText(response.status, body))
  }
  return body as T
}

const post = (path: string, body?: unknown): Promise<unknown> =>
  call(path, { method: 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body) }) })

const account = (id: string): string => `/v1/accounts/${encodeURIComponent(id)}`

export interface AccountsQuery {
  sort: 'score' | 'name' | 'trend'
  order: 'asc' | 'desc'
  band: string
  segment: string
  owner: string
  q: string
}

export const api = {
  login: (email: string, password: string) => post('/v1/auth/login', { email, password }),
  oneTime: (token: string) => post('/v1/auth/one-time', { token }),
  logout: () => post('/v1/auth/logout'),
  me: () => call<User | { user: User }>('/v1/auth/me'),
  summary: (signal?: AbortSignal) => call<Summary>('/v1/summary', {}, signal),
  accounts: (query: AccountsQuery, limit: number, cursor: string | null, signal?: AbortSignal) =>
    call<AccountsPage>(withQuery('/v1/accounts', { ...query, limit, cursor }), {}, signal),
  account: (id: string, signal?: AbortSignal) => call<AccountDetail>(account(id), {}, signal),
  health: (id: string, from: string | null, to: string | null, signal?: AbortSignal) =>
    call<HealthHistory>(withQuery(`${account(id)}/health`, { from, to }), {}, signal),
  async metric(id: string, metric: string, from: string | null, to: string | null, signal?: AbortSignal) {
    const path = withQuery(`${account(id)}/metrics`, { metric, grain: 'day', from, to })
    const series = await call<MetricSeries>(path, {}, signal)
    // Decimals may arrive as strings, so that no digit is lost; a chart needs numbers.
    return { ...series, items: series.items.map((point) => ({ ...point, value: Number(point.value) })) }
  },
  pipeline: (signal?: AbortSignal) => call<Pipeline>('/v1/pipeline', {}, signal),
}
