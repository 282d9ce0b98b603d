import type { Words } from '../language.svelte';
import { account } from './account';
import { logs } from './logs';
import { problems } from './problems';
import { record } from './record';
import { shell } from './shell';
import { terms } from './terms';

/** The same in French; the type makes each key of English be there. */
const fr: Words = { account, logs, problems, record, shell, terms };

export default fr;
