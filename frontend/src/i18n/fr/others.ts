import type en from '../en/others';
import { account } from './account';
import { attributes } from './attributes';
import { charts } from './charts';
import { files } from './files';
import { imports } from './imports';
import { logDetail } from './logDetail';
import { logForm } from './logForm';
import { logTypes } from './logTypes';
import { machines } from './machines';
import { outbox } from './outbox';
import { printing } from './printing';
import { reliability } from './reliability';
import { scan } from './scan';
import { sessions } from './sessions';
import { siteState } from './siteState';
import { start } from './start';
import { tokens } from './tokens';
import { users } from './users';
import { wall } from './wall';
import { week } from './week';

/** The French messages of all other pages. */
const others: typeof en = { account, attributes, charts, files, imports, logDetail, logForm, logTypes, machines, outbox, printing, reliability, scan, sessions, siteState, start, tokens, users, wall, week };

export default others;
