// Rooms over socket.io: `join` names a connection's room, `say` is passed on to the others in it.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer();
new Server(server, { transports: ['websocket'], perMessageDeflate: false, serveClient: false }).on('connection', (socket) => {
  let room;
  socket.on('join', (name) => {
    room = name;
    socket.join(room);
    socket.emit('joined');
  });
  socket.on('say', (message) => socket.to(room).emit('said', message));
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
