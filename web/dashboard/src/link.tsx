// A link to a view of this page: no loading, unless a new tab is wanted.

import type { ComponentChildren } from "preact";
import type { App } from "./app";
import { address, type Route } from "./route";

interface LinkProps {
  app: App;
  to: Route;
  class?: string;
  current?: boolean;
  label?: string;
  children?: ComponentChildren;
}

export function Link({ app, to, current = false, label, children, ...rest }: LinkProps) {
  return (
    <a
      {...rest}
      href={address(to)}
      aria-current={current ? "page" : undefined}
      aria-label={label}
      onClick={(click) => {
        if (click.metaKey || click.ctrlKey || click.shiftKey) return;
        click.preventDefault();
        app.go(to);
      }}
    >
      {children}
    </a>
  );
}
