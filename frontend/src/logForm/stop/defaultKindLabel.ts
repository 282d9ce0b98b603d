import { site } from '../../api/site.svelte';
import { i18n } from '../../i18n/i18n.svelte';

/** The label of the kind of a stop whose log does not say it: the type of the log decides. */
export function defaultKindLabel(type: string): string {
  return i18n.t.terms.down_kind[site.types.get(type)?.counts_as_failure ? 'failure' : 'planned']!;
}
