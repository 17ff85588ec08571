import { describe, expect, test } from 'vitest'
import { problemText, withQuery } from '../src/api/client'
import { count, direction, percent, points, pointsOf, signed, withUnit } from '../src/format/numbers'
import { day, dayAndTime, daysBefore, duration, instant } from '../src/format/times'
import { accountName, BAND_FLOORS, words } from '../src/format/words'

test('points of millionths are the exact decimal', () => {
  expect(String(pointsOf(72_345_678))).toBe('72.345678')
  expect(String(pointsOf(1))).toBe('0.000001')
  expect(pointsOf(0)).toBe(0)
  expect(pointsOf(null)).toBeNull()
})

test.each([
  [signed(2.04), '+2.0'],
  [signed(-2.06), '−2.1'],
  [signed(0.04), '0.0'],
  [signed(-0.04), '0.0'],
  [signed(null), '–'],
  [points(100), '100.0'],
  [points(undefined), '–'],
  [count(1234567), '1,234,567'],
  [count(0), '0'],
  [percent(0.5), '50%'],
  [percent(0.9999), '99%'],
  [percent(0.0001), '1%'],
  [percent(1), '100%'],
  [percent(0), '0%'],
  [percent(null), '–'],
  [withUnit(0.834, 'ratio'), '83%'],
  [withUnit(-0.25, 'ratio'), '−25%'],
  [withUnit(4.92, 'days'), '4.9 days'],
  [withUnit(1, 'payments'), '1 payment'],
  [withUnit(1200, 'events'), '1,200 events'],
  [withUnit(0.25, null), '0.25'],
  [withUnit(null, 'days'), '–'],
])('%s reads %s', (shown, expected) => {
  expect(shown).toBe(expected)
})

test('the direction of a movement is that of the number shown', () => {
  expect([direction(0.04), direction(-0.04), direction(0.06), direction(-3), direction(null)]).toEqual(['flat', 'flat', 'up', 'down', 'flat'])
})

describe('times', () => {
  test('are UTC whatever the zone of the machine', () => {
    expect(dayAndTime('2023-12-02T14:00:00Z')).toBe('2 Dec 2023 14:00 UTC')
    expect(dayAndTime('2023-12-31T23:30:00-02:00')).toBe('1 Jan 2024 01:30 UTC')
    expect(day(null)).toBe('–')
    expect(instant('not a time')).toBeNull()
  })

  test.each([[0.4, '0 s'], [59.9, '59 s'], [60, '1 min'], [3599, '59 min'], [7200, '2 h'], [200_000, '2 d'], [-5, '0 s']])(
    '%d seconds read %s',
    (seconds, expected) => expect(duration(seconds)).toBe(expected),
  )

  test('days before', () => {
    expect(daysBefore('2024-03-01T00:00:00Z', 1)).toBe('2024-02-29T00:00:00.000Z')
    expect(daysBefore(null, 1)).toBeNull()
  })
})

test('words', () => {
  expect(words('at_risk')).toBe('At risk')
  expect(accountName('', '12345678-aaaa')).toBe('Account 12345678')
  expect(BAND_FLOORS.map(({ from, to }) => to - from).reduce((sum, span) => sum + span)).toBe(100)
})

describe('client', () => {
  test('leaves out parameters without a value and escapes the others', () => {
    expect(withQuery('/v1/accounts', { q: 'A & B', band: '', cursor: null, limit: 50 })).toBe('/v1/accounts?q=A+%26+B&limit=50')
    expect(withQuery('/v1/accounts', { q: '' })).toBe('/v1/accounts')
  })

  test('says what the server says, or at least the status', () => {
    expect(problemText(404, { title: 'Not Found', detail: 'There is no account x.' })).toBe('There is no account x.')
    expect(problemText(500, { title: 'Broken' })).toBe('Broken')
    expect(problemText(502, null)).toContain('502')
  })
})
