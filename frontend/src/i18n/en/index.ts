import { account } from './account';
import { attributes } from './attributes';
import { charts } from './charts';
import { logDetail } from './logDetail';
import { logForm } from './logForm';
import { logs } from './logs';
import { logTypes } from './logTypes';
import { machines } from './machines';
import { outbox } from './outbox';
import { problems } from './problems';
import { scan } from './scan';
import { sessions } from './sessions';
import { shell } from './shell';
import { siteState } from './siteState';
import { start } from './start';
import { terms } from './terms';
import { tokens } from './tokens';
import { users } from './users';
import { wall } from './wall';

/**
 * The English messages, one file for each part of the console. A message with a variable part is a function; numbers are
 * passed as formatted text. The type of this object makes the compiler require the same keys in French.
 */
const en = { account, attributes, charts, logDetail, logForm, logs, logTypes, machines, outbox, problems, scan, sessions, shell, siteState, start, terms, tokens, users, wall };

export type Messages = typeof en;
export default en;
