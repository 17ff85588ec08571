import { describe, expect, test } from 'vitest'
import { addChanges, EMPTY_FEED, LONGEST_FEED, pauseFeed, resumeFeed } from '../src/live/feed'
import { parseMessage, type ServerMessage } from '../src/live/messages'
import { applyMessage, type Change, type Scores } from '../src/live/scores'
import { live } from './scores-of'

const delta = (...items: ReturnType<typeof live>[]): ServerMessage => ({ type: 'delta', sequence: 1, items, resume: null, receipt: null })
const snapshot = (...items: ReturnType<typeof live>[]): ServerMessage => ({ type: 'snapshot', items, resume: null, receipt: null })
const EMPTY: Scores = new Map()

describe('applyMessage', () => {
  test('a snapshot replaces everything and is no movement', () => {
    const [before] = applyMessage(EMPTY, snapshot(live('a', 50, 1), live('b', 80, 1)))
    const [after, changes] = applyMessage(before, snapshot(live('b', 20, 0)))
    expect([...after.keys()]).toEqual(['b'])
    expect(after.get('b')?.micro).toBe(20e6)
    expect(changes).toEqual([])
  })

  test('a delta changes one account, keeps its name, and leaves the old map as it was', () => {
    const [before] = applyMessage(EMPTY, snapshot(live('a', 71, 1, { name: 'Ada Ltd', owner: 'Bo' }), live('b', 80, 1)))
    const [after, changes] = applyMessage(before, delta(live('a', 69.5, 2)))
    expect(after.get('a')).toMatchObject({ micro: 69.5e6, name: 'Ada Ltd', owner: 'Bo', position: 2 })
    expect(after.get('b')).toBe(before.get('b'))
    expect(before.get('a')?.micro).toBe(71e6)
    expect(changes).toEqual([
      expect.objectContaining({ account_id: 'a', name: 'Ada Ltd', from: 71e6, to: 69.5e6, bandFrom: 'healthy', bandTo: 'watch' }),
    ])
  })

  test('deltas that come again or late change nothing, in any order', () => {
    const items = [live('a', 50, 5), live('a', 60, 7), live('a', 55, 6)]
    for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 1, 0]] as const) {
      let scores = EMPTY
      for (const index of order) [scores] = applyMessage(scores, delta(items[index] as ReturnType<typeof live>))
      expect(scores.get('a')).toMatchObject({ micro: 60e6, position: 7 })
    }
  })

  test('another model takes over unless it is behind', () => {
    const [before] = applyMessage(EMPTY, snapshot(live('a', 50, 9)))
    const other = { model: 'health-2027-01' }
    expect(applyMessage(before, delta(live('a', 40, 8, other)))[0].get('a')?.micro).toBe(50e6)
    expect(applyMessage(before, delta(live('a', 40, 9, other)))[0].get('a')?.micro).toBe(40e6)
  })

  test('the same score again is no movement; losing and gaining a score is', () => {
    const [before] = applyMessage(EMPTY, snapshot(live('a', 50, 1)))
    const [same, none] = applyMessage(before, delta(live('a', 50.000001, 2)))
    expect(none).toEqual([])
    expect(same.get('a')?.position).toBe(2)
    const [lost, loss] = applyMessage(same, delta(live('a', null, 3)))
    expect(loss).toEqual([expect.objectContaining({ to: null, bandTo: 'unknown' })])
    expect(applyMessage(lost, delta(live('a', 50, 4)))[1]).toEqual([expect.objectContaining({ from: null, to: 50e6 })])
  })

  test('a heartbeat keeps the very same map', () => {
    expect(applyMessage(EMPTY, { type: 'heartbeat', sequence: 1, receipt: null })[0]).toBe(EMPTY)
  })
})

describe('parseMessage', () => {
  const item = {
    type: 'score', account_id: 'a', tick: '2023-12-03T00:00:00Z', score: 72345678, band: 'healthy', trend: 'up', coverage: 900000,
    contributions: [], signal_values: [], model: 'm', watermark: '2023-12-02T14:00:00Z', sealed_through: null,
    newest_ingested_at: '2026-11-23T10:00:00Z', position: 12,
  }

  test('reads a delta of the contract', () => {
    const message = parseMessage(JSON.stringify({ type: 'delta', sequence: 4, items: [item], resume: 'e:1-0' }))
    expect(message).toMatchObject({ type: 'delta', sequence: 4, resume: 'e:1-0' })
    expect(message?.type === 'delta' && message.items[0]).toMatchObject({ micro: 72345678, coverage: 900000, adjustment: 0, position: 12, name: null })
    const overridden = parseMessage(JSON.stringify({ type: 'delta', sequence: 5, items: [{ ...item, adjustment: -5 }], resume: 'r' }))
    expect(overridden?.type === 'delta' && overridden.items[0]?.adjustment).toBe(-5)
  })

  test('a score of null stays null, and an item without identity is left out', () => {
    const message = parseMessage(JSON.stringify({ type: 'snapshot', items: [{ ...item, score: null }, { score: 1 }, 7], resume: 'r' }))
    expect(message?.type === 'snapshot' && message.items.map((score) => score.micro)).toEqual([null])
  })

  test('reads that live scores stand still, and why', () => {
    expect(parseMessage('{"type":"degraded","detail":"Redis does not answer."}')).toEqual({ type: 'degraded', detail: 'Redis does not answer.' })
  })

  test.each(['', 'null', '[]', '{"type":"other"}', '{', new Uint8Array()])('ignores %j', (frame) => {
    expect(parseMessage(frame)).toBeNull()
  })
})

describe('feed', () => {
  const change = (id: string): Change => ({
    account_id: id, name: null, from: 1, to: 2, bandFrom: 'watch', bandTo: 'watch', tick: '', position: 1,
  })
  const ids = (entries: readonly Change[]): string[] => entries.map((entry) => entry.account_id)

  test('is newest first, also within one delta, and numbers never repeat', () => {
    const feed = addChanges(addChanges(EMPTY_FEED, [change('a'), change('b')], 1), [change('c')], 2)
    expect(ids(feed.entries)).toEqual(['c', 'b', 'a'])
    expect(new Set(feed.entries.map((entry) => entry.number)).size).toBe(3)
  })

  test('stays bounded, and keeps the newest', () => {
    const many = Array.from({ length: LONGEST_FEED * 3 }, (_, index) => change(String(index)))
    const feed = addChanges(addChanges(EMPTY_FEED, [change('old')], 1), many, 2)
    expect(feed.entries).toHaveLength(LONGEST_FEED)
    expect(feed.entries[0]?.account_id).toBe(String(LONGEST_FEED * 3 - 1))
  })

  test('holds still while paused and catches up afterwards', () => {
    const paused = addChanges(pauseFeed(addChanges(EMPTY_FEED, [change('a')], 1)), [change('b'), change('c')], 2)
    expect(ids(paused.entries)).toEqual(['a'])
    expect(paused.waiting).toBe(2)
    const resumed = resumeFeed(paused)
    expect(ids(resumed.entries)).toEqual(['c', 'b', 'a'])
    expect(resumed).toMatchObject({ held: null, waiting: 0 })
  })
})
