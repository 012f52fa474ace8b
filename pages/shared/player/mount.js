// The way in.

const players = new WeakMap();

// Streamlit calls this when the player is put into the page and again when data or theme have changed. A call that was
// overtaken by the next one is cleaned up too: the player ends only when it has left the page.
export default function (component) {
  const root = component.parentElement;
  if (!players.has(root)) players.set(root, new Player(root));
  players.get(root).update(component);
  return () => {
    if (root.isConnected) return;
    players.get(root)?.destroy();
    players.delete(root);
  };
}

export { fetchStretch, playSamples, readHeader, withFades };
