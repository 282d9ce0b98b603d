import { account } from './account';
import { charts } from './charts';
import { logger } from './logger';
import { logs } from './logs';
import { machines } from './machines';
import { offline } from './offline';
import { people } from './people';
import { problems } from './problems';
import { record } from './record';
import { shell } from './shell';
import { terms } from './terms';
import { tokens } from './tokens';
import { types } from './types';
import { wall } from './wall';

/** The words of the console: a file a place. What varies is a function; counts come as text that is formatted already. */
const en = { account, charts, logger, logs, machines, offline, people, problems, record, shell, terms, tokens, types, wall };

export type Words = typeof en;
export default en;
