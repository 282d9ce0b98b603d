import type { Words } from '../language.svelte';
import { account } from './account';
import { logs } from './logs';
import { people } from './people';
import { problems } from './problems';
import { record } from './record';
import { shell } from './shell';
import { terms } from './terms';
import { tokens } from './tokens';
import { types } from './types';

/** The same in French; the type makes each key of English be there. */
const fr: Words = { account, logs, people, problems, record, shell, terms, tokens, types };

export default fr;
