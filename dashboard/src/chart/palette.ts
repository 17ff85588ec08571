/** Colours of the design system for what is drawn on a canvas. Asked for anew at each drawing, as light and dark may change. */

export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** `name` with an alpha in [0, 1]. */
export function translucent(name: string, alpha: number): string {
  return `color-mix(in srgb, ${colour(name)} ${Math.round(alpha * 100)}%, transparent)`
}

/** Calls `redraw` when the system goes from light to dark or back; returns how to stop. */
export function onSchemeChange(redraw: () => void): () => void {
  const scheme = window.matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', redraw)
  return () => scheme.removeEventListener('change', redraw)
}
