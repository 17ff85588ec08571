/** What the parts of a score come to, and why a signal is held. Pure. */

import type { Contribution } from '../api/types'
import { dayAndTime } from '../format/times'
import { words } from '../format/words'

const micro = (points: number | null | undefined): number => Math.round((points ?? 0) * 1e6)

/** The sum of all contributions and of what overrides add, in points: exact, because millionths are added. */
export const contributionSum = (parts: readonly Contribution[], adjustment: number | null | undefined): number =>
  parts.reduce((total, part) => total + micro(part.contribution), micro(adjustment)) / 1e6

/** Why a stale signal is held, in a sentence or two. */
export function whyHeld(part: Contribution): string {
  const reasons = [
    ...(part.outages ?? []).map((outage) => `${words(outage.topic)} is complete only through ${dayAndTime(outage.complete_through)}`),
    ...(part.gated_by ?? []).map((gate) => `the check ${gate.check} of ${gate.source} fails since ${dayAndTime(gate.since)}`),
  ]
  const because = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`
  return `Held at its last known value${because}.`
}
