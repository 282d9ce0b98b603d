import { storageName } from './rootPath';

export interface TabChannel<M> {
  post: (message: M) => void;
}

/** Send messages between the tabs of this browser. Where the browser has no such channel, each tab is alone. */
export function openChannel<M>(name: string, onMessage: (message: M) => void): TabChannel<M> {
  try {
    const channel = new BroadcastChannel(storageName(name));
    channel.onmessage = ({ data }: MessageEvent<M>) => onMessage(data);
    return { post: (message) => channel.postMessage(message) };
  } catch {
    return { post: () => {} };
  }
}
