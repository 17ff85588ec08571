/** Times as people read them. Everything is UTC: source time has no other zone. */

import { MISSING } from './numbers'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const two = (value: number): string => String(value).padStart(2, '0')

/** Milliseconds since 1970 of an ISO time, or null. */
export function instant(iso: string | null | undefined): number | null {
  if (iso === null || iso === undefined) return null
  const milliseconds = Date.parse(iso)
  return Number.isNaN(milliseconds) ? null : milliseconds
}

/** `2 Dec 2023` */
export function day(iso: string | null | undefined): string {
  const milliseconds = instant(iso)
  if (milliseconds === null) return MISSING
  const time = new Date(milliseconds)
  return `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]} ${time.getUTCFullYear()}`
}

/** `2 Dec 2023 14:00 UTC` */
export function dayAndTime(iso: string | null | undefined): string {
  const milliseconds = instant(iso)
  if (milliseconds === null) return MISSING
  const time = new Date(milliseconds)
  return `${day(iso)} ${two(time.getUTCHours())}:${two(time.getUTCMinutes())} UTC`
}

/** A length of time in one unit, rounded down: `4 s`, `3 min`, `5 h`, `2 d`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** The ISO time `days` before another one; null where that one is missing. */
export function daysBefore(iso: string | null | undefined, days: number): string | null {
  const milliseconds = instant(iso)
  return milliseconds === null ? null : new Date(milliseconds - days * 86_400_000).toISOString()
}
