import { mount } from 'svelte';
import App from './App.svelte';
import { network } from './api/network.svelte';
import { session } from './api/session.svelte';
import { site } from './api/site.svelte';
import './styles/base.css';
import './styles/tokens.css';
import './shell/theme.svelte';
import { status } from './shell/status.svelte';
import { i18n } from './i18n/i18n.svelte';

// Run the three requests in parallel: the first paint waits for the slowest, not for the sum.
const [, ...results] = await Promise.allSettled([i18n.start(), site.loadTimezone(), session.load()]);
mount(App, { target: document.getElementById('app')! });
// Offline, a known user can continue; the navigation then shows "No network" and no error is needed.
if (!(session.canRead && network.isOffline)) for (const result of results) if (result.status === 'rejected') status.showError(result.reason);
