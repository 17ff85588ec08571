/**
 * The life of the websocket as a pure state machine: what happened goes in, the next state and what to do come out.
 * `socket.ts` does it. No clock, no timer and no randomness in here.
 */

import { retryDelay } from './backoff'
import type { ClientMessage, ServerMessage } from './messages'

/** The server sends a heartbeat every 10 s: two missed ones and a little more mean that the line is dead. */
export const HEARTBEAT_TIMEOUT_MS = 25_000
/** Close code of a session that is over. */
export const UNAUTHENTICATED = 4401

export type Phase = 'stopped' | 'connecting' | 'subscribing' | 'live' | 'waiting' | 'refused'

export interface Connection {
  phase: Phase
  /** Failed attempts since the last message. */
  attempt: number
  /** Where to go on after a drop; opaque. */
  resume: string | null
  /** Last sequence number on this socket. */
  sequence: number | null
}

export type ConnectionEvent =
  | { type: 'start' }
  | { type: 'opened' }
  | { type: 'message'; message: ServerMessage }
  | { type: 'closed'; code: number; random: number }
  | { type: 'heartbeat_timeout' }
  | { type: 'retry' }
  | { type: 'stop' }

export type Effect =
  | { type: 'open' }
  | { type: 'send'; message: ClientMessage }
  | { type: 'close' }
  | { type: 'await_heartbeat'; milliseconds: number }
  | { type: 'await_retry'; milliseconds: number }
  | { type: 'forget_timers' }

export const STOPPED: Connection = { phase: 'stopped', attempt: 0, resume: null, sequence: null }

type Step = [Connection, Effect[]]

const awaitHeartbeat: Effect = { type: 'await_heartbeat', milliseconds: HEARTBEAT_TIMEOUT_MS }

const open = (state: Connection): Step => [
  { ...state, phase: 'connecting', sequence: null },
  [{ type: 'forget_timers' }, { type: 'open' }, awaitHeartbeat],
]

/** The next state and what to do, in order. An event that means nothing in a phase changes nothing. */
export function step(state: Connection, event: ConnectionEvent): Step {
  switch (event.type) {
    case 'start':
      return state.phase === 'stopped' || state.phase === 'refused' ? open({ ...state, attempt: 0 }) : [state, []]
    case 'stop':
      return [STOPPED, [{ type: 'forget_timers' }, { type: 'close' }]]
    case 'retry':
      return state.phase === 'waiting' ? open(state) : [state, []]
    case 'opened':
      if (state.phase !== 'connecting') return [state, []]
      return [
        { ...state, phase: 'subscribing' },
        [
          {
            type: 'send',
            message: { type: 'subscribe', channel: 'portfolio', ...(state.resume === null ? {} : { resume: state.resume }) },
          },
          awaitHeartbeat,
        ],
      ]
    case 'message':
      return message(state, event.message)
    case 'heartbeat_timeout':
      // A dead line says nothing by itself; closing it makes the browser report `closed`, and the usual way back starts.
      return inUse(state) ? [state, [{ type: 'close' }]] : [state, []]
    case 'closed':
      return closed(state, event.code, event.random)
  }
}

const inUse = (state: Connection): boolean =>
  state.phase === 'connecting' || state.phase === 'subscribing' || state.phase === 'live'

function message(state: Connection, received: ServerMessage): Step {
  if (state.phase !== 'subscribing' && state.phase !== 'live') return [state, []]
  const live: Connection = { ...state, phase: 'live', attempt: 0 }
  if (received.type === 'degraded') return [live, [awaitHeartbeat]]
  if (received.type === 'snapshot') return [{ ...live, resume: received.resume }, [awaitHeartbeat]]
  if (missed(state.sequence, received.sequence)) {
    // The token still stands before the gap: coming back with it brings what was missed.
    return [state, [{ type: 'close' }]]
  }
  const sequence = received.sequence ?? state.sequence
  const resume = received.type === 'delta' ? (received.resume ?? state.resume) : state.resume
  return [{ ...live, sequence, resume }, [awaitHeartbeat]]
}

/** Whether numbers between `last` and `next` never arrived. A repeated number is harmless: positions decide. */
const missed = (last: number | null, next: number | null): boolean =>
  last !== null && next !== null && next > last + 1

function closed(state: Connection, code: number, random: number): Step {
  if (!inUse(state)) return [state, []]
  if (code === UNAUTHENTICATED) {
    return [{ ...STOPPED, phase: 'refused' }, [{ type: 'forget_timers' }]]
  }
  const milliseconds = retryDelay(state.attempt, random)
  return [
    { ...state, phase: 'waiting', attempt: state.attempt + 1, sequence: null },
    [{ type: 'forget_timers' }, { type: 'await_retry', milliseconds }],
  ]
}
