// What people call a stream and sort it by, changed where it stands by whoever may.

import type { App } from "./app";
import { InPlace } from "./in-place";
import { Link } from "./link";
import { nameFault, tagsFault, tagsOf } from "./naming";
import { EVERYTHING } from "./wall-filter";
import type { Stream } from "./streams";

interface Props {
  app: App;
  stream: Stream;
}

/** The name as a heading, with the id beside it where that is another. */
export function StreamName({ app, stream }: Props) {
  const named = stream.name !== stream.id;
  const heading = <h1>{stream.name}</h1>;
  return (
    <div class="stream-name">
      {!app.mayControl && heading}
      {app.mayControl && (
        <InPlace
          label="Change the name"
          value={named ? stream.name : ""}
          placeholder={stream.id}
          fault={nameFault}
          save={(name) => app.api.changeStream(stream.id, { name })}
        >
          {heading}
        </InPlace>
      )}
      {named && (
        <span class="id" title="The stream's id, in addresses and messages">
          {stream.id}
        </span>
      )}
    </div>
  );
}

/** The tags that people gave, each leading to the wall of all that have it. */
export function OwnTags({ app, stream }: Props) {
  return (
    <div class="own-tags">
      {stream.tags.map((tag) => (
        <Link
          key={tag}
          app={app}
          class="own-tag"
          to={{ page: "wall", filter: { ...EVERYTHING, tags: [tag] } }}
        >
          {tag}
        </Link>
      ))}
      {app.mayControl && (
        <InPlace
          label={stream.tags.length > 0 ? "Change the tags" : "Add tags"}
          value={stream.tags.join(", ")}
          placeholder="Berlin, doors"
          fault={(text) => tagsFault(tagsOf(text))}
          save={(text) => app.api.changeStream(stream.id, { tags: tagsOf(text) })}
        />
      )}
    </div>
  );
}
