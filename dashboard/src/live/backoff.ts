/** How long to wait before another attempt to connect. */

export const FIRST_DELAY_MS = 500
export const LONGEST_DELAY_MS = 20_000

/**
 * Delay in milliseconds before attempt number `attempt` (0 is the first retry): exponential with equal jitter, so that
 * the pages of a whole team do not come back in the same instant. `random` is in [0, 1).
 */
export function retryDelay(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16))
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
