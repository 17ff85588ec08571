import { describe, expect, test } from 'vitest'
import { FIRST_DELAY_MS, LONGEST_DELAY_MS, retryDelay } from '../src/live/backoff'
import { HEARTBEAT_TIMEOUT_MS, step, STOPPED, type Connection, type ConnectionEvent, type Effect } from '../src/live/connection'

const snapshot = (resume: string): ConnectionEvent => ({
  type: 'message',
  message: { type: 'snapshot', items: [], resume, receipt: null },
})
const delta = (sequence: number, resume: string): ConnectionEvent => ({
  type: 'message',
  message: { type: 'delta', sequence, items: [], resume, receipt: null },
})
const heartbeat = (sequence: number): ConnectionEvent => ({
  type: 'message',
  message: { type: 'heartbeat', sequence, receipt: null },
})
const dropped: ConnectionEvent = { type: 'closed', code: 1006, random: 0 }

/** State after the events, and what the last one asked for. */
function run(...events: ConnectionEvent[]): [Connection, Effect[]] {
  let state = STOPPED
  let effects: Effect[] = []
  for (const event of events) [state, effects] = step(state, event)
  return [state, effects]
}

const names = (effects: Effect[]): string[] => effects.map((effect) => effect.type)

test('opens, subscribes without a token, and is live with the snapshot', () => {
  const [connecting, first] = run({ type: 'start' })
  expect(connecting.phase).toBe('connecting')
  expect(names(first)).toContain('open')
  const [subscribing, second] = step(connecting, { type: 'opened' })
  expect(second[0]).toEqual({ type: 'send', message: { type: 'subscribe', channel: 'portfolio' } })
  const [state] = step(subscribing, snapshot('t0'))
  expect(state).toMatchObject({ phase: 'live', resume: 't0', attempt: 0 })
})

test('after a drop it waits, comes back, and resumes from the last delta', () => {
  const [waiting, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), delta(1, 't1'), delta(2, 't2'), dropped)
  expect(waiting).toMatchObject({ phase: 'waiting', resume: 't2', attempt: 1 })
  expect(effects).toContainEqual({ type: 'await_retry', milliseconds: FIRST_DELAY_MS / 2 })
  const [connecting] = step(waiting, { type: 'retry' })
  const [, sent] = step(connecting, { type: 'opened' })
  expect(sent[0]).toEqual({ type: 'send', message: { type: 'subscribe', channel: 'portfolio', resume: 't2' } })
})

test('missed deltas alone make a resumed connection live again', () => {
  const [state] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), dropped, { type: 'retry' }, { type: 'opened' }, delta(1, 't9'))
  expect(state).toMatchObject({ phase: 'live', resume: 't9', attempt: 0, sequence: 1 })
})

test('a snapshot in answer to a token replaces it: the epoch was unknown', () => {
  const [state] = run({ type: 'start' }, { type: 'opened' }, snapshot('old'), dropped, { type: 'retry' }, { type: 'opened' }, snapshot('new'))
  expect(state.resume).toBe('new')
})

test('a gap in the numbers closes the socket and keeps the token from before it', () => {
  const [state, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), delta(1, 't1'), delta(3, 't3'))
  expect(names(effects)).toEqual(['close'])
  expect(state.resume).toBe('t1')
})

test.each([
  ['heartbeats that count', [delta(1, 'a'), heartbeat(2), delta(3, 'b')]],
  ['heartbeats that repeat the last number', [delta(1, 'a'), heartbeat(1), delta(2, 'b')]],
  ['heartbeats that announce the next number', [delta(1, 'a'), heartbeat(2), delta(2, 'b')]],
])('%s are no gap', (_, events) => {
  const [state] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), ...events)
  expect(state).toMatchObject({ phase: 'live', resume: 'b' })
})

test('a server whose live scores stand still is connected all the same', () => {
  const degraded: ConnectionEvent = { type: 'message', message: { type: 'degraded', detail: 'Redis does not answer.' } }
  const [state, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), dropped, { type: 'retry' }, { type: 'opened' }, degraded)
  expect(state).toMatchObject({ phase: 'live', resume: 't0', attempt: 0 })
  expect(names(effects)).toEqual(['await_heartbeat'])
})

test('a heartbeat that tells of missed deltas closes the socket', () => {
  const [, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), delta(1, 'a'), heartbeat(5))
  expect(names(effects)).toEqual(['close'])
})

test('every message puts off the heartbeat timeout, and the timeout closes', () => {
  const live = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), heartbeat(1))
  expect(live[1]).toEqual([{ type: 'await_heartbeat', milliseconds: HEARTBEAT_TIMEOUT_MS }])
  expect(names(step(live[0], { type: 'heartbeat_timeout' })[1])).toEqual(['close'])
})

test('a server that accepts but never speaks is left too', () => {
  const [subscribing] = run({ type: 'start' }, { type: 'opened' })
  expect(names(step(subscribing, { type: 'heartbeat_timeout' })[1])).toEqual(['close'])
})

test('failed attempts wait longer and longer until a message arrives', () => {
  let [state] = run({ type: 'start' })
  const waits: number[] = []
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const [waiting, effects] = step(state, { type: 'closed', code: 1006, random: 0.999 })
    waits.push(...effects.flatMap((effect) => (effect.type === 'await_retry' ? [effect.milliseconds] : [])))
    ;[state] = step(waiting, { type: 'retry' })
  }
  expect(waits).toHaveLength(12)
  expect([...waits].sort((one, other) => one - other)).toEqual(waits)
  expect(waits.at(-1)).toBeLessThanOrEqual(LONGEST_DELAY_MS)
  expect(state.attempt).toBe(12)
})

test('a session that is over is not tried again, and its token is forgotten', () => {
  const [state, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), { type: 'closed', code: 4401, random: 0 })
  expect(state).toMatchObject({ phase: 'refused', resume: null })
  expect(names(effects)).toEqual(['forget_timers'])
  expect(step(state, { type: 'retry' })[1]).toEqual([])
  expect(step(state, { type: 'start' })[0].phase).toBe('connecting')
})

test('stopping closes, and what comes in afterwards changes nothing', () => {
  const [stopped, effects] = run({ type: 'start' }, { type: 'opened' }, snapshot('t0'), { type: 'stop' })
  expect(names(effects)).toContain('close')
  for (const event of [dropped, snapshot('late'), { type: 'retry' }, { type: 'opened' }, { type: 'heartbeat_timeout' }] as const) {
    expect(step(stopped, event)).toEqual([stopped, []])
  }
})

describe('retryDelay', () => {
  test('lies between half and whole of a doubling ceiling', () => {
    for (const attempt of [0, 1, 2, 3]) {
      const ceiling = FIRST_DELAY_MS * 2 ** attempt
      expect(retryDelay(attempt, 0)).toBe(ceiling / 2)
      expect(retryDelay(attempt, 0.9999)).toBeLessThanOrEqual(ceiling)
    }
  })

  test('never passes the longest delay, however often it failed', () => {
    expect(retryDelay(5_000, 0.9999)).toBeLessThanOrEqual(LONGEST_DELAY_MS)
  })
})
