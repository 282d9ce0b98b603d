import type others from './others';
import { logs } from './logs';
import { pages } from './pages';
import { problems } from './problems';
import { shell } from './shell';
import { signIn } from './signIn';
import { terms } from './terms';

/**
 * The English messages that the sign-in page and the list of logs need: the first load has no others. There is one file for each
 * part of the console. A message with a variable part is a function; numbers are passed as formatted text.
 */
const en = { logs, pages, problems, shell, signIn, terms };

/** All messages. This type makes the compiler require the same keys in French. */
export type Messages = typeof en & typeof others;
export default en;
