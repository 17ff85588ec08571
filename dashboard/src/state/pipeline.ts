/** Figures of `/v1/pipeline` as lines for people. Pure. */

import type { Pipeline } from '../api/types'

export interface Line {
  name: string
  total: number
}

/** Always shown: where nothing happens, that is what one wants to see. */
const MAIN: readonly [keyof Pipeline, string][] = [
  ['events_in', 'Events read'],
  ['counted', 'Events counted'],
  ['metric_values', 'Metric values'],
  ['scores', 'Scores in history'],
]

/** Shown once there are any. */
const ODD: readonly [keyof Pipeline, string][] = [
  ['duplicates', 'Duplicates'],
  ['late', 'Late'],
  ['quarantined', 'Quarantined'],
  ['dead_lettered', 'Dead letters'],
]

export function pipelineLines(pipeline: Pipeline): Line[] {
  const line = ([field, name]: readonly [keyof Pipeline, string]): Line => ({ name, total: pipeline[field] })
  return [...MAIN.map(line), ...ODD.map(line).filter(({ total }) => total > 0)]
}
