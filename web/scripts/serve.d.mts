export interface Host {
  readonly url: string;
  close(): void;
}
export function serve(options: {
  folder: string;
  port?: number;
  plain?: boolean;
  under?: string;
  onRequest?: (path: string, bytes: number) => void;
}): Promise<Host>;
