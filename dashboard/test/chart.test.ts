import { describe, expect, test } from 'vitest'
import type { HealthPoint, MetricPoint } from '../src/api/types'
import { dailyColumns, scoreColumns, weekly } from '../src/chart/series'
import { sparkline } from '../src/chart/sparkline'

const tick = (day: number, score: number | null, provisional: boolean): HealthPoint => ({
  tick: new Date(Date.UTC(2023, 0, day)).toISOString(), score, band: 'watch', trend: 'flat', coverage: 1, provisional,
})
const used = (day: number, value: number): MetricPoint => ({
  window_start: new Date(Date.UTC(2023, 0, day)).toISOString(), metric: 'product.events', value, sealed: true,
})

test('the provisional part starts where the final one ends', () => {
  const [times, final, provisional] = scoreColumns([tick(1, 50, false), tick(2, 51, false), tick(3, 52, true), tick(4, null, true)])
  expect(times[1]).toBe(Date.UTC(2023, 0, 2) / 1000)
  expect(final).toEqual([50, 51, null, null])
  expect(provisional).toEqual([null, 51, 52, null])
})

describe('dailyColumns', () => {
  test('days without a row are days without use, over the span of all series', () => {
    const [times, events, users] = dailyColumns([used(2, 7), used(5, 9)], [used(3, 1)])
    expect(times).toHaveLength(4)
    expect(events).toEqual([7, 0, 0, 9])
    expect(users).toEqual([0, 1, 0, 0])
  })
  test('no rows at all', () => {
    expect(dailyColumns([], [])).toEqual([[], [], []])
  })
})

test('weeks start on Monday; sums add up and means are over the days that are in them', () => {
  // 1 January 2023 is a Sunday.
  const [times, values = []] = dailyColumns([used(1, 10), used(2, 1), used(3, 3)])
  const [weeks, sums] = weekly(times, values, 'sum')
  expect(weeks.map((week) => new Date(week * 1000).toISOString().slice(0, 10))).toEqual(['2022-12-26', '2023-01-02'])
  expect(sums).toEqual([10, 4])
  expect(weekly(times, values, 'mean')[1]).toEqual([10, 2])
})

describe('sparkline', () => {
  test('spans its box from the oldest to the newest value', () => {
    const { line, end } = sparkline([0, 10], 100, 40, 1)
    expect(line).toBe('M0 40L100 0')
    expect(end).toEqual({ x: 100, y: 0 })
  })
  test('noise stays small: a range under the span does not fill the box', () => {
    expect(sparkline([50, 50.1], 100, 40, 2).line).toBe('M0 21L100 19')
  })
  test('a gap breaks the line, and no value draws nothing', () => {
    expect(sparkline([1, null, 3, 4], 90, 40, 1).line.match(/M/g)).toHaveLength(2)
    expect(sparkline([null], 90, 40, 1)).toEqual({ line: '', area: '', end: null })
  })
})
