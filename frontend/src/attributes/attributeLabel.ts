// The last word of an attribute's name that is a unit, as it is written.
const UNITS: Record<string, string> = {
  kw: 'kW', kwh: 'kWh', w: 'W', v: 'V', a: 'A', bar: 'bar', mm: 'mm', cm: 'cm', m: 'm', kg: 'kg', g: 'g', l: 'l', h: 'h', hours: 'h', min: 'min', s: 's', rpm: 'rpm', hz: 'Hz', c: '°C', pct: '%', percent: '%',
};

/** The name of an attribute as people write it: `power_kw` is `Power (kW)`. Names are the site's own, so they are not translated. */
export function attributeLabel(name: string): string {
  const words = name.split('_').filter(Boolean);
  const unit = words.length > 1 ? UNITS[words.at(-1)!.toLowerCase()] : undefined;
  const text = (unit ? words.slice(0, -1) : words).join(' ') || name;
  return text.charAt(0).toUpperCase() + text.slice(1) + (unit ? ` (${unit})` : '');
}
