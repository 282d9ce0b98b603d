import { mount } from 'svelte';
import App from './App.svelte';
import { network } from './api/network.svelte';
import { session } from './api/session.svelte';
import { site } from './api/site.svelte';
import './look/base.css';
import './look/tokens.css';
import './shell/theme.svelte';
import { status } from './shell/status.svelte';
import { tongue } from './words/language.svelte';

// Side by side: the first paint waits for the slowest of them, not for their sum.
const [, ...found] = await Promise.allSettled([tongue.start(), site.find(), session.find()]);
mount(App, { target: document.getElementById('app')! });
// Who was here before goes on without a network, which the shell says.
if (!(session.known && network.away)) for (const one of found) if (one.status === 'rejected') status.fail(one.reason);
