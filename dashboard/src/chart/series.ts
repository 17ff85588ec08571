/** Rows of the API as the columns that a chart takes. Pure. Times in seconds since 1970. */

import type { HealthPoint, MetricPoint } from '../api/types'

export type Column = (number | null)[]

const seconds = (iso: string): number => Date.parse(iso) / 1000

/** Time, final score, provisional score. The provisional part starts at the last final point, so that the line is whole. */
export function scoreColumns(items: readonly HealthPoint[]): [number[], Column, Column] {
  const times: number[] = []
  const final: Column = []
  const provisional: Column = []
  items.forEach((item, index) => {
    times.push(seconds(item.tick))
    final.push(item.provisional ? null : item.score)
    const joins = !item.provisional && items[index + 1]?.provisional === true
    provisional.push(item.provisional || joins ? item.score : null)
  })
  return [times, final, provisional]
}

const DAY = 86_400

/**
 * One value a UTC day from the first to the last day of any series; a day without a row had none of it, so 0.
 * Times in seconds at the start of the day.
 */
export function dailyColumns(...series: readonly (readonly MetricPoint[])[]): [number[], ...Column[]] {
  const starts = series.flatMap((points) => points.map((point) => seconds(point.window_start)))
  if (starts.length === 0) return [[], ...series.map(() => [])]
  const first = starts.reduce((one, other) => Math.min(one, other))
  const last = starts.reduce((one, other) => Math.max(one, other))
  const times = Array.from({ length: Math.round((last - first) / DAY) + 1 }, (_, index) => first + index * DAY)
  const columns = series.map((points) => {
    const values: Column = times.map(() => 0)
    for (const point of points) values[Math.round((seconds(point.window_start) - first) / DAY)] = point.value
    return values
  })
  return [times, ...columns]
}

const MONDAY = 4 * DAY // 1970-01-05

/** Days joined into weeks that start on Monday, by sum or by mean of the days that are in the week. */
export function weekly(times: readonly number[], values: Column, join: 'sum' | 'mean'): [number[], Column] {
  const weeks = new Map<number, { total: number; days: number }>()
  times.forEach((time, index) => {
    const start = Math.floor((time - MONDAY) / (7 * DAY)) * 7 * DAY + MONDAY
    const week = weeks.get(start) ?? { total: 0, days: 0 }
    weeks.set(start, { total: week.total + (values[index] ?? 0), days: week.days + 1 })
  })
  return [[...weeks.keys()], [...weeks.values()].map(({ total, days }) => (join === 'sum' ? total : total / days))]
}
