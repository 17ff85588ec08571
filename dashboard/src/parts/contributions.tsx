import type { AccountDetail, Contribution } from '../api/types'
import { points, signed, withUnit } from '../format/numbers'
import { words } from '../format/words'
import { contributionSum, whyHeld } from '../state/contributions'
import { shares, type Share } from '../state/shares'

/** One signal: what it is, its value, and its points out of those that it can give. */
function Row({ part, share }: { part: Contribution; share: Share }) {
  return (
    <tr
      data-testid="contribution-row"
      data-signal={part.signal}
      data-contribution={part.contribution ?? ''}
      data-status={part.status ?? ''}
    >
      <th scope="row">
        {part.label}
        {part.status === 'stale' && (
          <>
            {' '}
            <span class="mark" title={whyHeld(part)}>
              held
            </span>
          </>
        )}
      </th>
      <td class="number">
        {part.contribution === null ? (
          <span class="quiet">{part.status === 'missing' ? 'missing' : 'not applicable'}</span>
        ) : (
          withUnit(part.value, part.unit)
        )}
      </td>
      <td class="number quiet weight">{part.weight}</td>
      <td class="bar" aria-hidden="true">
        <span style={{ width: `${share.track * 100}%` }}>
          <i class={share.level} style={{ width: `${share.filled * 100}%` }} />
        </span>
      </td>
      <td class="number">
        <b>{points(part.contribution)}</b>
        {part.contribution !== null && <span class="quiet"> / {points(share.most)}</span>}
      </td>
    </tr>
  )
}

/** Why the score is what it is: parts that add up to it. */
export function Contributions({ account }: { account: AccountDetail }) {
  const all = account.contributions
  const byShare = shares(all)
  const groups = [...new Set(all.map((part) => part.group))]
  const sum = contributionSum(all, account.adjustment)
  return (
    <table class="contributions">
      <thead>
        <tr>
          <th scope="col">Signal</th>
          <th scope="col" class="number">Value</th>
          <th scope="col" class="number weight">Weight</th>
          <th scope="col" class="bar">
            <span class="only-read">Share</span>
          </th>
          <th scope="col" class="number">Points</th>
        </tr>
      </thead>
      {groups.map((group) => (
        <tbody key={group}>
          <tr class="group">
            <th scope="rowgroup" colSpan={5}>
              {words(group)}
            </th>
          </tr>
          {all.map((part, index) => {
            const share = byShare[index]
            return part.group === group && share ? <Row key={part.signal} part={part} share={share} /> : null
          })}
        </tbody>
      ))}
      <tfoot>
        {account.adjustment ? (
          <tr data-testid="adjustment-row">
            <th scope="row" colSpan={4}>
              Override
            </th>
            <td class="number">
              <b>{signed(account.adjustment)}</b>
            </td>
          </tr>
        ) : null}
        <tr>
          <th scope="row" colSpan={4}>
            Health score, the sum of all points
          </th>
          <td class="number" data-testid="contribution-sum" data-sum={sum}>
            <b>{account.score === null ? points(null) : points(sum)}</b>
            <span class="quiet"> / 100</span>
          </td>
        </tr>
      </tfoot>
    </table>
  )
}
