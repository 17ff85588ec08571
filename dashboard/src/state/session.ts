/** Who is signed in. */

import { signal } from '@preact/signals'
import { api, ApiError, whenSignedOut } from '../api/client'
import type { User } from '../api/types'
import { oneTimeToken } from './paths'

export type Session =
  | { phase: 'asking' }
  | { phase: 'signed_out'; notice: string | null }
  | { phase: 'signed_in'; user: User }

export const session = signal<Session>({ phase: 'asking' })

const userOf = (answer: unknown): User => {
  const { user } = answer as { user?: User }
  return user ?? (answer as User)
}

/** Exchanges a one-time link, else asks whether the cookie still stands. */
export async function openSession(): Promise<void> {
  const token = oneTimeToken(window.location.hash)
  if (token !== null) {
    // Off the address bar and out of the history before anything else: the link must not be shared or kept.
    window.history.replaceState(null, '', `${window.location.pathname}${window.location.search}#/`)
    try {
      session.value = { phase: 'signed_in', user: userOf(await api.oneTime(token)) }
      return
    } catch (error) {
      // Whoever opens an old link in a browser that is signed in already is let in.
      return askWhoAmI((error as Error).message)
    }
  }
  return askWhoAmI(null)
}

async function askWhoAmI(notice: string | null): Promise<void> {
  try {
    session.value = { phase: 'signed_in', user: userOf(await api.me()) }
  } catch (error) {
    const unreachable = error instanceof ApiError && error.status !== 401 && error.status !== 403
    session.value = { phase: 'signed_out', notice: notice ?? (unreachable ? error.message : null) }
  }
}

/** Throws ApiError with a sentence for the form. */
export async function signIn(email: string, password: string): Promise<void> {
  session.value = { phase: 'signed_in', user: userOf(await api.login(email, password)) }
}

export async function signOut(): Promise<void> {
  try {
    await api.logout()
  } finally {
    session.value = { phase: 'signed_out', notice: null }
  }
}

/** The server said that the session is over. */
export function sessionExpired(): void {
  if (session.peek().phase === 'signed_in') {
    session.value = { phase: 'signed_out', notice: 'Your session has ended. Sign in again.' }
  }
}

whenSignedOut(sessionExpired)
