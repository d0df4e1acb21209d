/** React hook: the processed track of a camera. An example, to be copied; the package does not need React. */
import type { Keyer } from "@cleanplate/keyer";
import { createTrackProcessor, type TrackProcessor, type TrackSettings } from "@cleanplate/keyer/video";
import { useEffect, useState } from "react";

/**
 * Processes `camera` as long as the component is there.
 *
 * @param settings Read when the keyer or the camera changes; a new backdrop goes to `processor.setBackdrop`.
 */
export function useTrackProcessor(keyer?: Keyer, camera?: MediaStreamTrack, settings?: TrackSettings) {
  const [processor, setProcessor] = useState<TrackProcessor>();
  const [error, setError] = useState<unknown>();

  useEffect(() => {
    if (!keyer || !camera) return;
    let gone = false;
    let opened: TrackProcessor | undefined;
    setError(undefined);
    createTrackProcessor(keyer, camera, { ...settings, onError: setError }).then((made) => {
      opened = made;
      if (gone) made.stop();
      else setProcessor(made);
    }, setError);
    return () => {
      gone = true;
      opened?.stop();
      setProcessor(undefined);
    };
  }, [keyer, camera]);

  return { processor, error };
}
