import { useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import uPlot from 'uplot'
import { colour, translucent } from '../chart/palette'
import Plot, { axis, timeLabels } from '../chart/plot'
import { dailyColumns, weekly, type Column } from '../chart/series'
import { count, points } from '../format/numbers'
import { day } from '../format/times'
import type { Usage } from '../state/detail'

type Grain = 'day' | 'week'

/** Seconds from one bar to the next. */
const stepOf = (times: ArrayLike<number>): number =>
  times.length > 1 ? (times[1] ?? 0) - (times[0] ?? 0) : 86_400

function bars(name: string): () => Partial<uPlot.Options> & Pick<uPlot.Options, 'series'> {
  return () => ({
    padding: [8, 20, 0, 0],
    // A bar stands on its day from start to end: the last one needs its whole day on the axis.
    scales: { x: { time: true, range: (chart, low, high) => [low, high + stepOf(chart.data[0])] }, y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.08)] } },
    axes: [
      axis({ values: timeLabels, grid: { show: false }, space: 64, size: 26 }),
      axis({ size: 46, space: 32, values: (_chart, marks) => marks.map((mark) => (Number.isInteger(mark) ? count(mark) : '')) }),
    ],
    series: [
      {},
      {
        fill: translucent(name, 0.75),
        stroke: colour(name),
        width: 0,
        points: { show: false },
        ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.8, 24], align: 1 }) } : {}),
      },
    ],
  })
}

const EVENTS = bars('accent')
const USERS = bars('ink-3')

function Bars(props: { title: string; times: number[]; values: Column; options: typeof EVENTS; grain: Grain; digits: number }) {
  const hovered = useSignal<number | null>(null)
  const { times, values, grain, digits } = props
  const data = useMemo<[number[], Column]>(() => [times, values], [times, values])
  const index = hovered.value ?? times.length - 1
  const start = times[index]
  return (
    <figure>
      <figcaption class="reading">
        <span>{props.title}</span>
        <b>{digits === 0 ? count(values[index]) : points(values[index], digits)}</b>
        <span class="quiet">
          {grain === 'week' ? 'week of ' : ''}
          {start === undefined ? '' : day(new Date(start * 1000).toISOString())}
        </span>
      </figcaption>
      <Plot
        data={data}
        options={props.options}
        height={120}
        label={`${props.title}, ${times.length} ${grain}s`}
        hover={(next) => (hovered.value = next)}
      />
    </figure>
  )
}

/** Events and active users, a bar a day or a week. Users of a week cannot be added up from its days: the mean day stands for it. */
export default function UsageChart({ usage }: { usage: Usage }) {
  const grain = useSignal<Grain>('day')
  const { times, events, users } = useMemo(() => {
    const [days, perDay = [], usersPerDay = []] = dailyColumns(usage.events, usage.users)
    if (grain.value === 'day') return { times: days, events: perDay, users: usersPerDay }
    const [weeks, sums] = weekly(days, perDay, 'sum')
    return { times: weeks, events: sums, users: weekly(days, usersPerDay, 'mean')[1] }
  }, [usage, grain.value])
  if (times.length === 0) return <p class="quiet">No product event in this range.</p>
  const week = grain.value === 'week'
  return (
    <>
      <div class="choice over" role="group" aria-label="Grain of the usage charts">
        {(['day', 'week'] as const).map((name) => (
          <button key={name} type="button" aria-pressed={grain.value === name} onClick={() => (grain.value = name)}>
            {name === 'day' ? 'Daily' : 'Weekly'}
          </button>
        ))}
      </div>
      <Bars title="Product events" times={times} values={events} options={EVENTS} grain={grain.value} digits={0} />
      <Bars
        title={week ? 'Active users, mean day' : 'Active users'}
        times={times}
        values={users}
        options={USERS}
        grain={grain.value}
        digits={week ? 1 : 0}
      />
    </>
  )
}
