/** The list of accounts: the server filters, sorts and pages; live scores are laid over the rows that are loaded. */

import { effect, signal } from '@preact/signals'
import { api, type AccountsQuery } from '../api/client'
import type { AccountRow } from '../api/types'
import { movement, seeReceipt } from './live'
import { joined } from './rows'

/** Rows asked for at once; also the most that a quiet refresh asks for. */
export const PAGE = 100
const REFRESH_MS = 5_000

export const NO_FILTER = { band: '', segment: '', owner: '', q: '' }

export const query = signal<AccountsQuery>({ sort: 'score', order: 'asc', ...NO_FILTER })

export interface AccountList {
  rows: readonly AccountRow[]
  total: number | null
  next: string | null
  loading: boolean
  error: string | null
}

const BLANK: AccountList = { rows: [], total: null, next: null, loading: true, error: null }

export const list = signal<AccountList>(BLANK)

let controller = new AbortController()
let loadedAt = 0

async function load(kind: 'first' | 'more' | 'refresh'): Promise<void> {
  if (kind !== 'more') controller.abort()
  const mine = kind === 'more' ? controller : (controller = new AbortController())
  if (kind !== 'refresh') list.value = { ...list.peek(), loading: true, error: null }
  loadedAt = Date.now()
  try {
    const page = await api.accounts(query.peek(), PAGE, kind === 'more' ? list.peek().next : null, mine.signal)
    if (mine.signal.aborted) return
    const rows = kind === 'more' ? joined(list.peek().rows, page.items) : page.items
    list.value = { rows, total: page.total, next: page.next_cursor, loading: false, error: null }
    seeReceipt(page.receipt)
  } catch (error) {
    if (mine.signal.aborted) return
    // A quiet refresh that fails changes nothing: the live indicator says what is wrong.
    if (kind === 'refresh') return
    const message = (error as Error).message
    // Rows of the question before must not stand under this one's filters.
    list.value = kind === 'first' ? { ...BLANK, loading: false, error: message } : { ...list.peek(), loading: false, error: message }
  }
}

export const reload = (): Promise<void> => load('first')

/** The next page, as one scrolls. After a failure only when asked for: `again`. */
export function loadMore(again = false): void {
  const { next, loading, error } = list.peek()
  if (next !== null && !loading && (error === null || again)) void load('more')
}

export function setQuery(change: Partial<AccountsQuery>): void {
  query.value = { ...query.peek(), ...change }
}

/** Sorts by a column, the other way round where it already is: worst first for scores, A first for names. */
export function sortBy(sort: AccountsQuery['sort']): void {
  const { sort: current, order } = query.peek()
  setQuery({ sort, order: current === sort && order === 'asc' ? 'desc' : 'asc' })
}

/** Whether someone works in the table right now; its rows then stay where they are. Set by the table. */
export const occupied = signal(false)

/** Keeps the list current until the returned function is called. */
export function followAccounts(): () => void {
  let timer: number | undefined
  const stopQuery = effect(() => {
    void query.value
    void load('first')
  })
  const quiet = (): void => {
    timer = undefined
    const { rows, loading } = list.peek()
    if (!document.hidden && !occupied.peek() && !loading && rows.length <= PAGE) void load('refresh')
  }
  const stopMovement = effect(() => {
    if (movement.value > 0 && timer === undefined) {
      timer = window.setTimeout(quiet, Math.max(0, loadedAt + REFRESH_MS - Date.now()))
    }
  })
  return () => {
    stopQuery()
    stopMovement()
    window.clearTimeout(timer)
    controller.abort()
    list.value = BLANK
    query.value = { sort: 'score', order: 'asc', ...NO_FILTER }
  }
}
