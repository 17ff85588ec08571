/** Which rows of a long list are in sight. Pure. */

export interface Sight {
  first: number
  /** One past the last. */
  end: number
}

/** Rows rendered beyond each edge, so that a quick scroll meets no blank. */
const SPARE = 8

/**
 * `above`: pixels of the list that are scrolled out at the top; `height`: visible pixels; `row`: height of a row. The first
 * row is even, so that alternating rows do not flicker while scrolling.
 */
export function inSight(above: number, height: number, row: number, total: number): Sight {
  const first = Math.max(0, Math.floor(above / row) - SPARE) & ~1
  const end = Math.min(total, Math.ceil((above + height) / row) + SPARE)
  return { first: Math.min(first, total), end: Math.max(end, Math.min(first, total)) }
}
