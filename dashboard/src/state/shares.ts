/** How a contribution is drawn. Pure. */

import type { Contribution } from '../api/types'

export interface Share {
  /** Most points that the signal can give: its weight among those that apply. */
  most: number
  /** Length of its track beside the longest, in [0, 1]. */
  track: number
  /** Filled part of the track, in [0, 1]. */
  filled: number
  level: 'good' | 'fair' | 'poor'
}

/** One share a contribution, in order. A signal that does not apply has no weight: the others take it over. */
export function shares(parts: readonly Contribution[]): Share[] {
  const applies = parts.filter((part) => part.contribution !== null)
  const weights = applies.reduce((sum, part) => sum + part.weight, 0)
  const heaviest = Math.max(0, ...applies.map((part) => part.weight))
  return parts.map((part) => {
    if (part.contribution === null || weights === 0 || heaviest === 0) {
      return { most: 0, track: 0, filled: 0, level: 'poor' }
    }
    const most = (part.weight / weights) * 100
    const filled = most === 0 ? 0 : Math.min(1, Math.max(0, part.contribution / most))
    return { most, track: part.weight / heaviest, filled, level: filled >= 0.7 ? 'good' : filled >= 0.45 ? 'fair' : 'poor' }
  })
}
