/** Geometry of a sparkline. Pure. */

export interface Sparkline {
  line: string
  area: string
  /** The newest point, or null where there is none. */
  end: { x: number; y: number } | null
}

/**
 * Paths of `values` (oldest first; null is a gap) in a box of `width` by `height`. The scale spans the values but at least
 * `span` units, so that noise does not look like drama.
 */
export function sparkline(values: readonly (number | null)[], width: number, height: number, span: number): Sparkline {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return { line: '', area: '', end: null }
  const low = Math.min(...known)
  const high = Math.max(...known)
  const slack = Math.max(0, span - (high - low)) / 2
  const bottom = low - slack
  const range = high + slack - bottom || 1
  const step = values.length > 1 ? width / (values.length - 1) : 0
  const at = (value: number, index: number) => ({
    x: round(values.length > 1 ? index * step : width),
    y: round(height - ((value - bottom) / range) * height),
  })
  let line = ''
  let area = ''
  let run: { x: number; y: number }[] = []
  let end: Sparkline['end'] = null
  const finish = (): void => {
    const first = run[0]
    const last = run.at(-1)
    if (first === undefined || last === undefined) return
    const path = run.map(({ x, y }) => `${x} ${y}`).join('L')
    line += `M${path}`
    area += `M${first.x} ${height}L${path}L${last.x} ${height}Z`
    end = last
    run = []
  }
  values.forEach((value, index) => {
    if (value === null) finish()
    else run.push(at(value, index))
  })
  finish()
  return { line, area, end }
}

const round = (value: number): number => Math.round(value * 100) / 100
