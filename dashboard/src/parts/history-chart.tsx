import { useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import type uPlot from 'uplot'
import type { HealthPoint } from '../api/types'
import { colour, translucent } from '../chart/palette'
import Plot, { axis, timeLabels } from '../chart/plot'
import { scoreColumns } from '../chart/series'
import { points } from '../format/numbers'
import { day } from '../format/times'
import { BAND_FLOORS, BAND_NAME } from '../format/words'
import { BandTag } from './atoms'

/** Shades the bands behind the line. */
function shade(chart: uPlot): void {
  const { ctx, bbox } = chart
  ctx.save()
  for (const { band, from, to } of BAND_FLOORS) {
    const top = chart.valToPos(to, 'y', true)
    const bottom = chart.valToPos(from, 'y', true)
    ctx.fillStyle = translucent(band.replace('_', '-'), 0.1)
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top)
  }
  ctx.restore()
}

const options = (): Partial<uPlot.Options> & Pick<uPlot.Options, 'series'> => ({
  padding: [8, 20, 0, 0],
  scales: { x: { time: true }, y: { range: [0, 100] } },
  axes: [
    axis({ values: timeLabels, grid: { show: false }, space: 64, size: 26 }),
    axis({ splits: () => [0, ...BAND_FLOORS.map(({ to }) => to)], size: 34 }),
  ],
  series: [
    {},
    { stroke: colour('accent'), width: 2, points: { show: false } },
    { stroke: colour('accent'), width: 2, dash: [4, 4], points: { show: false } },
  ],
  hooks: { drawClear: [shade] },
})

/** Score over time; the part that late events may still change is dashed. */
export default function HistoryChart({ items }: { items: readonly HealthPoint[] }) {
  const hovered = useSignal<number | null>(null)
  const data = useMemo(() => scoreColumns(items), [items])
  const shown = items[hovered.value ?? items.length - 1]
  const first = items[0]
  const last = items.at(-1)
  const label =
    first === undefined || last === undefined
      ? 'No history'
      : `Health score from ${points(first.score)} on ${day(first.tick)} to ${points(last.score)} on ${day(last.tick)}`
  return (
    <figure>
      <figcaption class="reading">
        {shown !== undefined && (
          <>
            <b>{points(shown.score)}</b>
            <BandTag band={shown.band} />
            <span class="quiet">
              {day(shown.tick)}
              {shown.provisional ? ', provisional' : ''}
            </span>
          </>
        )}
      </figcaption>
      <Plot data={data} options={options} height={200} label={label} hover={(index) => (hovered.value = index)} />
      <p class="key quiet">
        {BAND_FLOORS.map(({ band, from, to }) => (
          <span key={band}>
            <i class={`band-${band.replace('_', '-')}`} aria-hidden="true" /> {BAND_NAME[band]} {from}–{to}
          </span>
        ))}
        <span>
          <i class="dashed" aria-hidden="true" /> provisional
        </span>
      </p>
    </figure>
  )
}
