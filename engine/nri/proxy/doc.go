// Package proxy stands between NRI plugins and a runtime that knows nothing of the
// guard. It owns the socket that plugins connect to and opens one connection to
// the runtime's own socket for each plugin, once that plugin has registered and is
// allowed to.
//
//	plugin ──▶ the proxy's socket ──▶ link ──▶ the runtime's socket
//
// A link relays ttrpc's messages in both directions. Most pass as they are; order,
// ownership and merging stay the runtime's. Looked into are:
//
//   - the registration, which is a decision: who connected is in the review as
//     plugin.identity;
//   - what the plugin subscribes to, which is limited to [Plugin.Events];
//   - what the plugin is shown, where [Plugin.Redact] hides values;
//   - every reply and request that changes or evicts containers, which is a
//     decision.
//
// A denial fails the request where that harms nobody but the request: creating and
// updating containers, and updates that the plugin asks for by itself. In replies
// to stopping a container and to synchronisation the updates are left out instead,
// as an error there would make NRI skip or drop plugins.
//
// What a plugin sends is not trusted: lengths, streams, methods, connections. A
// plugin that breaks the protocol is disconnected, from both sides at once, and
// nobody else notices.
package proxy
