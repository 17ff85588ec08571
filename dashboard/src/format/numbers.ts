/** Numbers as people read them. A missing number is an en dash everywhere; minus is a real minus sign. */

export const MISSING = '–'

const MILLION = 1_000_000
const grouped = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })

/** Points of a count of millionths: the exact decimal, for example 72345678 → 72.345678. */
export const pointsOf = (micro: number | null): number | null => (micro === null ? null : micro / MILLION)

export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? MISSING : grouped.format(value).replace('-', '\u2212')

const fixed = (value: number, digits: number): string => {
  const text = value.toFixed(digits)
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '\u2212')
}

/** A score or its part, one decimal. */
export const points = (value: number | null | undefined, digits = 1): string =>
  value === null || value === undefined ? MISSING : fixed(value, digits)

/** A movement with its sign; what rounds to nothing has none. */
export function signed(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return MISSING
  const text = fixed(value, digits)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}

/** A fraction as whole per cent. 99.6 % is not 100 %, and 0.4 % is not 0 %: both ends are kept for what is exact. */
export function percent(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined) return MISSING
  const hundredths = fraction * 100
  if (hundredths > 99 && hundredths < 100) return '99%'
  if (hundredths > 0 && hundredths < 1) return '1%'
  return `${fixed(hundredths, 0)}%`
}

/** Direction of a movement as shown with `digits` decimals. */
export function direction(value: number | null | undefined, digits = 1): 'up' | 'down' | 'flat' {
  if (value === null || value === undefined || Number(value.toFixed(digits)) === 0) return 'flat'
  return value > 0 ? 'up' : 'down'
}

const decimal = (value: number): string => {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 1 ? 1 : 2
  return new Intl.NumberFormat('en-GB', { maximumFractionDigits: digits, minimumFractionDigits: digits })
    .format(value)
    .replace('-', '\u2212')
}

const UNIT_SIGN: Record<string, string> = { percent: '%', hours: ' h', seconds: ' s', minutes: ' min' }

/** Value of a signal or metric with its unit: a ratio reads as per cent, days and others by name. */
export function withUnit(value: number | null | undefined, unit: string | null | undefined): string {
  if (value === null || value === undefined) return MISSING
  if (unit === 'ratio') return percent(value)
  const name = unit ?? ''
  if (name === '' || name === 'count') return decimal(value)
  const sign = UNIT_SIGN[name]
  if (sign !== undefined) return `${decimal(value)}${sign}`
  return `${decimal(value)} ${value === 1 && name.endsWith('s') ? name.slice(0, -1) : name}`
}
