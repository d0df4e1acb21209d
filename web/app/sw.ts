declare const __FILES__: string[];
declare const __VERSION__: string;
console.log(__FILES__, __VERSION__);
