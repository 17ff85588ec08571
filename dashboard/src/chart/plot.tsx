/** A uPlot chart as a part of the page. */

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { colour, onSchemeChange } from './palette'

interface Props {
  data: uPlot.AlignedData
  /** Must keep its identity while the chart stays the same. */
  options: () => Partial<uPlot.Options> & Pick<uPlot.Options, 'series'>
  height: number
  /** What the chart shows, for those who do not see it. */
  label: string
  /** Index of the point under the pointer, or null. */
  hover?: (index: number | null) => void
}

/** Draws `data`; follows its box's width, the colour scheme and new data. */
export default function Plot({ data, options, height, label, hover }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const draw = (): void => {
      plot.current?.destroy()
      const own = options()
      const made = new uPlot(
        {
          width: element.clientWidth,
          height,
          legend: { show: false },
          tzDate: (time) => uPlot.tzDate(new Date(time * 1000), 'Etc/UTC'),
          cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
          ...own,
          hooks: { ...own.hooks, setCursor: [(chart) => hover?.(chart.cursor.idx ?? null)] },
        },
        data,
        element,
      )
      plot.current = made
    }
    draw()
    const stopScheme = onSchemeChange(draw)
    const size = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.current?.setSize({ width: element.clientWidth, height })
    })
    size.observe(element)
    return () => {
      stopScheme()
      size.disconnect()
      plot.current?.destroy()
      plot.current = null
    }
  }, [options, height])

  useEffect(() => {
    plot.current?.setData(data)
  }, [data])

  return <div ref={box} class="plot" role="img" aria-label={label} style={{ height: `${height}px` }} />
}

/** A quiet axis in the colours of the page. */
export function axis(more: uPlot.Axis = {}): uPlot.Axis {
  return {
    stroke: colour('ink-3'),
    font: `11px ${colour('font')}`,
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
    gap: 4,
    ...more,
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Labels of a time axis in UTC: days, months or years, whichever the distance of the marks (seconds) asks for. */
export const timeLabels = (_chart: uPlot, marks: number[], _axis: number, _space: number, distance: number): string[] =>
  marks.map((mark) => {
    const time = new Date(mark * 1000)
    const month = MONTHS[time.getUTCMonth()] ?? ''
    if (distance >= 360 * 86_400) return String(time.getUTCFullYear())
    if (distance >= 27 * 86_400) return time.getUTCMonth() === 0 ? String(time.getUTCFullYear()) : month
    return `${time.getUTCDate()} ${month}`
  })
