"""Mattes into pixels: the *over* equation, backdrops, finish, layers, linear light."""
