"""Which copies are connected to which primary, after every change."""

from controller.core.model import DatabaseName, SiteName
from tests.sim import truth
from tests.sim.keeper import Keeper
from tests.sim.network import Traffic
from tests.sim.outcome import Telling
from tests.sim.replication import RECEIVER_PATIENCE_S, SENDER_PATIENCE_S, Copy, Stream
from tests.sim.server import Server

RETRY_S = (0.02, 0.15)


class Linking(Telling):
    """The part of the world that connects."""

    def reaches(self, site: SiteName, server: Server) -> bool:
        """A new connection from `site` is answered."""
        return server.up and self.network.path(site, server.site, Traffic.REPLICATION)

    def block(self, server: Server, sites: frozenset[SiteName]) -> None:
        """Replication from this server's host to these sites is reset."""
        server.blocked = sites - {server.site}
        stream = server.stream
        if stream is not None and stream.sender.site in server.blocked:
            self.hang_up(stream, receiver=True)

    # --- changes -----------------------------------------------------------------------------

    def review(self) -> None:
        """Something outside has changed: every connection, sign and session is looked at."""
        self.store.review()
        for name in self.servers:
            self.review_streams(name)
        for site in self.sites:
            senses = self.senses(site)
            if senses is not None:
                senses.review()
        for speaker in self.speakers.values():
            speaker.review_session()

    def changed(self, copy: Copy) -> None:
        """Something about one copy has."""
        if isinstance(copy, Server):
            controller = self.controllers.get(copy.site)
            if controller is not None and controller.process.alive:
                loop = controller.loops[copy.service]
                loop.poke(loop.eyes.database_changed(copy.name))
            self.review_streams(copy.name)
            if copy.up != copy.told_up:
                copy.told_up = copy.up
                self._signs_of(copy.site)
        elif isinstance(copy, Keeper):
            daemon = self.witness_daemons.get(copy.site)
            if daemon is not None:
                daemon.keeper_changed(copy.name)

    def _signs_of(self, site: SiteName) -> None:
        for other in self.sites:
            senses = self.senses(other)
            if other != site and senses is not None:
                senses.review()

    def fell(self, server: Server) -> None:
        """Its process has ended: whoever a reset reaches knows at once."""
        for stream in list(server.streams):
            self.hang_up(stream, receiver=False)
        if server.stream is not None:
            self.hang_up(server.stream, receiver=True)
        controller = self.controllers.get(server.site)
        if controller is not None and controller.process.alive:
            controller.loops[server.service].canary_lost(server.name)
        self.changed(server)

    def hang_up(self, stream: Stream, *, receiver: bool) -> None:
        """One end lets go; the other knows it when a reset arrives, or when its patience ends."""
        here, there = stream.receiver.site, stream.sender.site
        end, by = (there, here) if receiver else (here, there)
        reset = self.network.hears(end, by, Traffic.REPLICATION)
        if receiver:
            stream.close_here()
            other, patience = stream.close_there, SENDER_PATIENCE_S
        else:
            stream.close_there()
            other, patience = stream.close_here, RECEIVER_PATIENCE_S
        if reset:
            other()
        else:
            self.engine.after(patience, self._other_end, stream)
        self._ends_changed(stream)

    def _other_end(self, stream: Stream) -> None:
        if stream.open_here or stream.open_there:
            stream.close_here()
            stream.close_there()
            self._ends_changed(stream)

    def _ends_changed(self, stream: Stream) -> None:
        for copy in (stream.receiver, stream.sender):
            self.engine.after(0.0, self.changed, copy)

    # --- connections -------------------------------------------------------------------------

    def review_streams(self, name: DatabaseName) -> None:
        """Those that are cut are torn, those that pass again go on, those that are missing come."""
        for copy in self.copies(name).values():
            stream = copy.stream
            if stream is not None:
                self._review(stream)
            elif isinstance(copy, Server) and copy.wants_stream():
                copy.connecting = True
                copy.process.after(self.engine.draw(*RETRY_S), self._attempt, copy)
        for server in self.servers[name].values():
            for stream in list(server.streams):
                if stream.receiver.stream is not stream:
                    self._review(stream)

    def _review(self, stream: Stream) -> None:
        if stream.connected:
            if stream.torn:
                stream.torn = False
                stream.go_on()
        elif not stream.torn:
            stream.torn = True
            self.engine.after(RECEIVER_PATIENCE_S, self._gives_up, stream, True)
            self.engine.after(SENDER_PATIENCE_S, self._gives_up, stream, False)

    def _gives_up(self, stream: Stream, receiver: bool) -> None:
        if stream.torn and (stream.open_here if receiver else stream.open_there):
            self.hang_up(stream, receiver=receiver)

    def _attempt(self, server: Server) -> None:
        server.connecting = False
        upstream = server.upstream
        if upstream is None or server.stream is not None or upstream in server.blocked:
            return
        if self.now < server.ready_at:
            self.review_streams(server.name)
            return
        primary = self.servers[server.name][upstream]
        voter = not server.quarantined
        if not self.reaches(server.site, primary) or not primary.lets_in(server, voter=voter):
            return
        if not server.log.begins(primary.log):
            self._misfit(server, primary, voter=voter)
            return
        server.diverged = ""
        self.connect(server, primary, voter=voter)

    def _misfit(self, server: Server, primary: Server, *, voter: bool) -> None:
        """What it holds beyond the fork is not the primary's; if it is let in as a voter, it is
        heard all the same.
        """
        if voter:
            stream = self.connect(server, primary, voter=True)
            stream.confirm()
            self.engine.after(0.05, self._other_end, stream)
        if not server.diverged:
            server.diverged = f"holds records that {primary.site} does not"
            self.changed(server)

    def connect(self, copy: Copy, primary: Server, *, voter: bool) -> Stream:
        """A stream is open."""
        stream = Stream(
            copy,
            primary,
            self.network,
            voter,
            primary.process.life,
            copy.process.life,
            sent=copy.log.end,
        )
        copy.stream = stream
        primary.streams.append(stream)
        if primary.writable:
            self.tell(
                truth.Following(
                    self.now,
                    primary.service,
                    primary.name,
                    copy.site,
                    primary.site,
                    primary.opened_under,
                    voter,
                    copy.log.begins(primary.log),
                )
            )
        stream.pump()
        stream.confirm()
        self._ends_changed(stream)
        return stream
