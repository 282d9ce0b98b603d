import type { Messages } from '../en';
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

/** The French messages. The type `Messages` makes the compiler report every message that is missing here. */
const fr: Messages = { account, attributes, charts, logDetail, logForm, logs, logTypes, machines, outbox, problems, scan, sessions, shell, siteState, start, terms, tokens, users, wall };

export default fr;
