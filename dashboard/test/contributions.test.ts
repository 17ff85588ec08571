import { describe, expect, test } from 'vitest'
import type { Contribution } from '../src/api/types'
import { contributionSum, whyHeld } from '../src/state/contributions'

const part = (contribution: number | null, more: Partial<Contribution> = {}): Contribution => ({
  signal: 's', label: 'S', group: 'g', weight: 1, contribution, value: 1, unit: null, ...more,
})

describe('contributionSum', () => {
  test('adds millionths, so that the sum is the score to the last digit, override included', () => {
    expect(contributionSum([part(0.1), part(0.2), part(null)], undefined)).toBe(0.3)
    expect(contributionSum([part(43.120482), part(20.000001)], -23.120483)).toBe(40)
  })
})

describe('whyHeld', () => {
  test('names the topic that is behind and the check that fails', () => {
    const told = whyHeld(
      part(1, {
        status: 'stale',
        outages: [{ topic: 'events.support', complete_through: '2026-11-20T08:15:00Z' }],
        gated_by: [{ check: 'product_volume', source: 'mixpanel', since: '2026-11-21T00:00:00Z' }],
      }),
    )
    expect(told).toContain('Events support is complete only through')
    expect(told).toContain('product_volume of mixpanel')
  })

  test('says so plainly where the reason has passed already', () => {
    expect(whyHeld(part(1, { status: 'stale' }))).toBe('Held at its last known value.')
  })
})
