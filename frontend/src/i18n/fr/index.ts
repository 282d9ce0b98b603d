import type en from '../en';
import { logs } from './logs';
import { pages } from './pages';
import { problems } from './problems';
import { shell } from './shell';
import { signIn } from './signIn';
import { terms } from './terms';

/** The French messages of the first load. The type makes the compiler report every message that is missing here. */
const fr: typeof en = { logs, pages, problems, shell, signIn, terms };

export default fr;
