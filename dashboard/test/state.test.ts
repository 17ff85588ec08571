import { describe, expect, test } from 'vitest'
import type { AccountRow, Contribution, Receipt } from '../src/api/types'
import { inSight } from '../src/parts/window'
import { scoreDaysAgo, withLive } from '../src/state/changes'
import { freshness, indicator, RECEIPT_EVERY_MS } from '../src/state/freshness'
import { oneTimeToken, routeOf, accountHref } from '../src/state/paths'
import { pipelineLines } from '../src/state/pipeline'
import { joined, overlaid } from '../src/state/rows'
import { shares } from '../src/state/shares'
import { live } from './scores-of'

const row = (id: string, more: Partial<AccountRow> = {}): AccountRow => ({
  account_id: id, name: id, segment: null, owner: null, region: null, plan: null, score: 60, band: 'watch', trend: 'flat',
  coverage: 1, change_7d: -5, change_28d: null, tick: null, ...more,
})

describe('overlaid', () => {
  test('the live score moves the changes along and keeps their starting points', () => {
    expect(overlaid(row('a'), live('a', 62.5, 4, { adjustment: -2_500_000 }))).toMatchObject({ score: 62.5, adjustment: -2.5, change_7d: -2.5, change_28d: null, position: 4 })
  })
  test('a newer row stands', () => {
    const newer = row('a', { position: 9 })
    expect(overlaid(newer, live('a', 1, 8))).toBe(newer)
    expect(overlaid(newer, undefined)).toBe(newer)
  })
  test('a lost score has no change', () => {
    expect(overlaid(row('a'), live('a', null, 4))).toMatchObject({ score: null, band: 'unknown', change_7d: null })
  })
})

test('pages join without repeating an account that moved between them', () => {
  expect(joined([row('a'), row('b')], [row('b'), row('c')]).map((one) => one.account_id)).toEqual(['a', 'b', 'c'])
})

describe('inSight', () => {
  test('covers what is visible, with spare rows, and never more than there are', () => {
    for (const above of [0, 17, 360, 5_000, 179_000]) {
      const { first, end } = inSight(above, 600, 36, 5_000)
      expect(first * 36).toBeLessThanOrEqual(above)
      expect(end * 36).toBeGreaterThanOrEqual(Math.min(above + 600, 5_000 * 36))
      expect(end - first).toBeLessThan(40)
      expect(end).toBeLessThanOrEqual(5_000)
      expect(first % 2).toBe(0)
    }
  })
  test('an empty list and a list that shrank', () => {
    expect(inSight(0, 600, 36, 0)).toEqual({ first: 0, end: 0 })
    expect(inSight(10_000, 600, 36, 5)).toEqual({ first: 5, end: 5 })
  })
})

describe('freshness', () => {
  const receipt: Receipt = { watermark: null, sealed_through: null, model: null, newest_ingested_at: null, freshness_seconds: 2 }
  test('is the figure of the server until a receipt is overdue, then it grows', () => {
    const seen = { receipt, at: 1_000 }
    expect(freshness(seen, 1_000 + RECEIPT_EVERY_MS)).toBe(2)
    expect(freshness(seen, 1_000 + 2 * RECEIPT_EVERY_MS + 7_000)).toBe(9)
    expect(freshness(null, 0)).toBeNull()
    expect(freshness({ receipt: { ...receipt, freshness_seconds: null }, at: 0 }, 0)).toBeNull()
  })
  test('indicator', () => {
    expect(indicator('live', 0, 2, null)).toBe('live')
    expect(indicator('live', 0, 31, null)).toBe('degraded')
    expect(indicator('live', 0, null, null)).toBe('live')
    expect(indicator('live', 0, 2, 'Redis does not answer.')).toBe('degraded')
    expect(indicator('waiting', 1, 2, 'Redis does not answer.')).toBe('reconnecting')
    expect(indicator('connecting', 0, null, null)).toBe('connecting')
  })
})

test('routes', () => {
  expect(routeOf('#/accounts/a%20b').accountId).toBe('a b')
  expect(routeOf(accountHref('x/y')).accountId).toBe('x/y')
  expect(routeOf('#/').accountId).toBeNull()
  expect(oneTimeToken('#one-time=Zk3-s_0')).toBe('Zk3-s_0')
  expect(oneTimeToken('#/accounts/one-time=x')).toBeNull()
})

test('the pipeline shows what was read and counted, and oddities only where there are any', () => {
  const nothing = { events_in: 0, counted: 0, duplicates: 0, late: 0, quarantined: 0, dead_lettered: 0, metric_values: 0, scores: 0 }
  expect(pipelineLines(nothing)).toHaveLength(4)
  expect(pipelineLines({ ...nothing, events_in: 9, late: 2 })).toEqual(
    expect.arrayContaining([{ name: 'Events read', total: 9 }, { name: 'Late', total: 2 }]),
  )
})

describe('shares', () => {
  const part = (weight: number, contribution: number | null): Contribution => ({
    signal: 's', label: 's', group: 'g', weight, contribution, value: null, unit: null,
  })
  test('what does not apply leaves its weight to the others', () => {
    const [first, second, third] = shares([part(25, 25), part(50, null), part(25, 10)])
    expect(first).toMatchObject({ most: 50, track: 1, filled: 0.5, level: 'fair' })
    expect(second).toMatchObject({ most: 0, filled: 0 })
    expect(third).toMatchObject({ most: 50, filled: 0.2, level: 'poor' })
  })
  test('nothing applies', () => {
    expect(shares([part(25, null)])).toEqual([{ most: 0, track: 0, filled: 0, level: 'poor' }])
  })
})

test('the score some days ago is that of exactly that tick', () => {
  const point = (tick: string, score: number) => ({ tick, score, band: 'watch', trend: 'flat', coverage: 1, provisional: false }) as const
  const history = [point('2023-11-25T00:00:00Z', 50), point('2023-11-26T00:00:00Z', 51)]
  expect(scoreDaysAgo(history, '2023-12-03T00:00:00+00:00', 7)).toBe(51)
  expect(scoreDaysAgo(history, '2023-12-03T00:00:00Z', 28)).toBeNull()
  expect(scoreDaysAgo(history, null, 7)).toBeNull()
})

test('the live score ends the history, once and provisional', () => {
  const history = [{ tick: '2023-12-02T00:00:00Z', score: 50, band: 'watch', trend: 'flat', coverage: 1, provisional: false }] as const
  const open = row('a', { tick: '2023-12-03T00:00:00Z', score: 52 })
  const whole = withLive(history, open)
  expect(whole.map((point) => [point.score, point.provisional])).toEqual([[50, false], [52, true]])
  expect(withLive(whole, open)).toBe(whole)
  expect(withLive(history, row('a', { tick: null }))).toBe(history)
})
