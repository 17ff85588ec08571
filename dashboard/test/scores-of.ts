import type { LiveScore } from '../src/live/messages'

/** A live score for tests, in points. */
export const live = (id: string, points: number | null, position: number, more: Partial<LiveScore> = {}): LiveScore => ({
  account_id: id,
  tick: '2023-12-03T00:00:00Z',
  micro: points === null ? null : Math.round(points * 1e6),
  band: points === null ? 'unknown' : points >= 70 ? 'healthy' : points >= 45 ? 'watch' : 'at_risk',
  trend: 'flat',
  coverage: 1_000_000,
  adjustment: 0,
  model: 'health-2026-11',
  position,
  watermark: '2023-12-02T14:00:00Z',
  sealedThrough: null,
  newestIngestedAt: null,
  name: null,
  segment: null,
  owner: null,
  ...more,
})
