import type { Attachment } from 'svelte/attachments';
import { router } from './router.svelte';

// How long content may take to load before the scroll position is given up.
const RESTORE_TIMEOUT_MS = 5_000;
const positions = new Map<string, number>();

/**
 * Keep the scroll position of an element for each history entry, and restore it when the user goes back. The content may load
 * later: the position is restored once it is high enough, unless the user scrolls first. A new page starts at its top.
 */
export function keepScroll(name: string): Attachment<HTMLElement> {
  return (element) => {
    let wanted: number | null = null;
    let entry = '';
    let pathname = router.pathname;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const restore = (): void => {
      if (wanted === null || element.scrollHeight - element.clientHeight < wanted) return;
      element.scrollTop = wanted;
      wanted = null;
    };
    const giveUp = (): void => void (wanted = null);
    const onScroll = (): void => {
      if (wanted === null && entry === key()) positions.set(entry, element.scrollTop);
    };
    const key = (): string => `${name} ${router.entry}`;
    const stopNavigation = $effect.root(() => {
      $effect(() => {
        entry = key();
        const isNewPage = router.pathname !== pathname;
        pathname = router.pathname;
        wanted = positions.get(entry) ?? (isNewPage ? 0 : null);
        clearTimeout(timer);
        timer = setTimeout(giveUp, RESTORE_TIMEOUT_MS);
        restore();
      });
    });
    const observer = new MutationObserver(restore);
    observer.observe(element, { childList: true, subtree: true });
    element.addEventListener('scroll', onScroll, { passive: true });
    for (const event of ['wheel', 'pointerdown', 'keydown']) element.addEventListener(event, giveUp, { passive: true });
    return () => {
      stopNavigation();
      observer.disconnect();
      clearTimeout(timer);
      element.removeEventListener('scroll', onScroll);
      for (const event of ['wheel', 'pointerdown', 'keydown']) element.removeEventListener(event, giveUp);
    };
  };
}
